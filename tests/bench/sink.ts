/**
 * A server that takes everything and keeps nothing, and has records to give: the same for
 * Tidesync and for its baselines.
 */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { type Note, notes } from './records'

/** A running sink. */
export interface Sink {
  readonly url: string
  /** The address under which a pull finds so many records; under {@link url} it finds none. */
  full(records: number): string
  /** Bytes of all bodies and their number since the last call. */
  take(): { bytes: number; requests: number }
  close(): void
}

interface Push {
  batch: string
  ops: { op: string }[]
}

/** What there is to pull, by how many. */
const RECORDS = new Map<number, readonly Note[]>()

function recordsOf(count: number): readonly Note[] {
  const records = RECORDS.get(count) ?? notes(count, 1)
  RECORDS.set(count, records)
  return records
}

export async function startSink(): Promise<Sink> {
  let [bytes, requests] = [0, 0]
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
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://sink')
    if (request.method === 'GET') {
      const first = Number(searchParams.get('cursor') ?? 0)
      const limit = Number(searchParams.get('limit'))
      const answer = answerTo(pathname, first, limit)
      response.writeHead(answer === undefined ? 404 : 200, {
        ...cors,
        'content-type': 'application/json',
      })
      response.end(JSON.stringify(answer))
      return
    }
    const body = await read(request)
    bytes += body.length
    requests += 1
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    const parsed: unknown = JSON.parse(plain.toString('utf8'))
    response.writeHead(200, { ...cors, 'content-type': 'application/json' })
    if (pathname === '/outbox') {
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
    full: (records) => `http://127.0.0.1:${port}/full/${records}`,
    take: () => {
      const taken = { bytes, requests }
      bytes = 0
      requests = 0
      return taken
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** What a GET finds: a page of changes, or a page of plain records for the baseline. */
function answerTo(path: string, first: number, limit: number): unknown {
  if (path === '/api/sync/pull') {
    return { protocol: 1, epoch: 'bench', changes: [], cursor: '0', more: false }
  }
  const [, kind, count] = /^\/(full|records)\/(\d+)/.exec(path) ?? []
  const all = recordsOf(Number(count ?? 0))
  const records = all.slice(first, first + limit)
  if (kind === 'records') return { records }
  if (kind === undefined || !path.endsWith('/api/sync/pull')) return undefined
  const next = first + records.length
  const changes = records.map((value, index) => ({
    space: '~',
    table: 'notes',
    rid: `s${value.id}`,
    version: first + index + 1,
    hlc: '0198f2c4a5b00000',
    client: 'other',
    value,
  }))
  const more = next < all.length
  return {
    protocol: 1,
    epoch: 'bench',
    changes,
    cursor: `${next}`,
    more,
    remaining: all.length - next,
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) {
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
