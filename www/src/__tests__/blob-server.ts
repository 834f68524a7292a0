/** The server's lane of Blobs (docs/protocol.md) in memory, with what may go wrong on the way. */

import { createHash } from 'node:crypto'
import type { Request } from '../shell/request'

/** What becomes of a request: `lost` before it arrives, its `answer lost`, its body cut or changed. */
export type Fault = 'lost' | 'answer lost' | 'damaged' | 'cut' | 'empty' | Response

const CHUNK = 1024 * 1024

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url')
}

/** Answers requests. */
export class BlobServer {
  readonly #blobs = new Map<string, { bytes: Buffer; complete: boolean }>()
  /** The requests that arrived, as `POST 1048576`, `status`, `GET 0`. */
  readonly log: string[] = []
  /** By the number of the request, from 0. */
  faults: Record<number, Fault> = {}
  #requests = 0

  /** The bytes that it has verified, of the user's own or in a space. */
  complete(hash: string, space = ''): Buffer | undefined {
    const blob = this.#blobs.get(space + hash)
    return blob?.complete ? blob.bytes : undefined
  }

  store(bytes: Uint8Array, space = ''): string {
    const hash = sha256(bytes)
    this.#blobs.set(space + hash, { bytes: Buffer.from(bytes), complete: true })
    return hash
  }

  readonly request: Request = async (path, init) => {
    const fault = this.faults[this.#requests]
    this.#requests += 1
    if (fault === 'lost') throw new TypeError('Failed to fetch')
    if (fault instanceof Response) return fault
    const answer = await this.#answer(path, init, fault)
    if (fault === 'answer lost') throw new TypeError('Failed to fetch')
    return answer
  }

  async #answer(path: string, init: RequestInit | undefined, fault: Fault | undefined) {
    const [, sha = '', status] = /^blob\/([\w-]{43})(\/status)?/.exec(path) ?? []
    const query = new URLSearchParams(path.split('?')[1])
    const hash = (query.get('space') ?? '') + sha
    const offset = Number(query.get('offset'))
    if (status !== undefined) return this.#say('status', this.#progress(hash))
    if (init?.method !== 'POST') return this.#download(hash, offset, fault)
    const bytes = Buffer.from(await new Response(init.body as BodyInit).arrayBuffer())
    if (fault === 'damaged') bytes[0] = (bytes[0] ?? 0) ^ 1
    return this.#upload(hash, Number(query.get('size')), offset, bytes)
  }

  #progress(hash: string) {
    const { bytes, complete } = this.#blobs.get(hash) ?? { bytes: Buffer.of(), complete: false }
    return { received: bytes.length, complete }
  }

  #say(what: string, body: object, status = 200): Response {
    this.log.push(what)
    return Response.json(body, { status })
  }

  #upload(hash: string, size: number, offset: number, chunk: Buffer): Response {
    const had = this.#blobs.get(hash)?.bytes ?? Buffer.of()
    if (chunk.length > CHUNK) return this.#say('too large', { code: 'too-large' }, 413)
    if (offset !== had.length) {
      const body = { code: 'wrong-offset', ...this.#progress(hash) }
      return this.#say(`wrong ${offset}`, body, 409)
    }
    const bytes = Buffer.concat([had, chunk])
    const complete = bytes.length === size
    if (complete && !hash.endsWith(sha256(bytes))) {
      this.#blobs.delete(hash)
      return this.#say('mismatch', { code: 'hash-mismatch', message: 'damaged' }, 422)
    }
    this.#blobs.set(hash, { bytes, complete })
    return this.#say(`POST ${offset}`, this.#progress(hash))
  }

  #download(hash: string, offset: number, fault: Fault | undefined): Response {
    const { bytes, complete } = this.#blobs.get(hash) ?? { bytes: Buffer.of(), complete: false }
    if (!complete) return this.#say('missing', { code: 'not-found' }, 404)
    this.log.push(`GET ${offset}`)
    const part = Buffer.from(bytes.subarray(offset, offset + CHUNK))
    if (fault === 'damaged') part[0] = (part[0] ?? 0) ^ 1
    if (fault === 'cut') return new Response(part.subarray(0, 1000))
    if (fault === 'empty') return new Response(new Uint8Array())
    return new Response(part)
  }
}
