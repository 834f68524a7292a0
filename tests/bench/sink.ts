/** A server that takes everything and keeps nothing: the same for Tidesync and for its baseline. */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** A running sink. */
export interface Sink {
  readonly url: string
  /** Bytes of all bodies since the last call. */
  takeBytes(): number
  close(): void
}

interface Push {
  batch: string
  ops: { op: string }[]
}

export async function startSink(): Promise<Sink> {
  let bytes = 0
  let version = 0
  const server = createServer(async (request, response) => {
    const cors = {
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization, content-type, content-encoding',
      'access-control-max-age': '600',
    }
    if (request.method === 'OPTIONS') {
      response.writeHead(204, cors).end()
      return
    }
    const body = await read(request)
    bytes += body.length
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    const parsed: unknown = JSON.parse(plain.toString('utf8'))
    response.writeHead(200, { ...cors, 'content-type': 'application/json' })
    if (request.url === '/outbox') {
      response.end('{"ok":true}')
      return
    }
    const { batch, ops } = parsed as Push
    const verdicts = ops.map(({ op }) => ({ op, verdict: 'applied', version: ++version }))
    response.end(JSON.stringify({ protocol: 1, batch, epoch: 'bench', verdicts }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    takeBytes: () => {
      const taken = bytes
      bytes = 0
      return taken
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) {
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
