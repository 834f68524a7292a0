import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BlobServer } from '../../www/src/__tests__/blob-server'

const ALLOWED = {
  'access-control-allow-headers': 'authorization, content-type, content-encoding',
}

/** A server with a lane of Blobs that says `body` to everything else. */
export class BlobBackend {
  readonly blobs = new BlobServer()
  body = '{}'
  readonly #server = createServer((request, response) => void this.#answer(request, response))
  #origin = ''

  static async start(origin: string): Promise<BlobBackend> {
    const backend = new BlobBackend()
    backend.#origin = origin
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve))
    return backend
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('access-control-allow-origin', this.#origin)
    if (request.method === 'OPTIONS') {
      response.writeHead(204, ALLOWED).end()
      return
    }
    const path = String(request.url).replace('/api/sync/', '')
    if (!path.startsWith('blob/')) {
      this.blobs.log.push(path.split('?')[0] ?? '')
      response.end(this.body)
      return
    }
    await this.#lane(path, request, response)
  }

  async #lane(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request
    const chunks: Buffer[] = await request.toArray()
    const init = method === 'POST' ? { method, body: Buffer.concat(chunks) } : { method }
    try {
      const answer = await this.blobs.request(path, init)
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(Buffer.from(await answer.arrayBuffer()))
    } catch {
      // A fault of the model: the line breaks.
      response.destroy()
    }
  }
}
