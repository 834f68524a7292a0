/** One request at a time to the server: a push or a pull. */

import type { Pull, Push, RequestOutcome } from './interface'
import {
  type Authorized,
  NoAnswer,
  noAnswer,
  type Request,
  requestsTo,
  type Server,
  Silence,
  wholeAnswer,
} from './request'

/** Bodies below this are sent as they are: compressing them saves nothing. */
const COMPRESS_FROM_CHARS = 1024

/** A server takes no compressed body above this (docs/protocol.md); a plain one may be larger. */
const COMPRESSED_BYTES_MAX = 1024 * 1024

/** What goes beside a push, in requests of its own; what fails there fails the whole. */
export interface Errands {
  /** Brings to the server what operations name, before they go. */
  send(texts: readonly string[], request: Request): Promise<void>
  /** Brings from the server what its answer names. */
  fetchFor(body: string, request: Request): Promise<void>
}

/** Brings from the server what an answer of status 200 names. */
type Fetch = Errands['fetchFor']

/** Sends pushes and pulls to one server. */
export class Transport {
  readonly #server: Server
  readonly #compress: boolean
  #underWay: AbortController | undefined

  constructor(server: Server, compress: boolean) {
    this.#server = server
    this.#compress = compress
  }

  /** Gives up the request that is under way, if there is one. */
  abort(): void {
    this.#underWay?.abort()
  }

  /**
   * Sends operations of a batch, whose `texts` are undefined where it is not stored, and does what they
   * and the answer need.
   */
  push(
    push: Push,
    texts: readonly string[] | undefined,
    errands: Errands,
  ): Promise<RequestOutcome> {
    const fetch: Fetch = (body, request) => errands.fetchFor(body, request)
    return this.#exchange(push, fetch, async (request) => {
      if (texts === undefined) throw new NoAnswer('no-batch')
      const ops = texts.slice(push.first, push.last)
      await errands.send(ops, request)
      const { body, encoding } = await pushBody(push.envelope, ops, this.#compress)
      return request('push', {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
        },
      })
    })
  }

  /** Asks for what is new, and for what belongs to it. */
  pull(pull: Pull, fetch: Fetch): Promise<RequestOutcome> {
    return this.#exchange(pull, fetch, (request) => request(`pull?${pull.query}`))
  }

  /**
   * The time limit is that of each request: it covers the token, the request and the whole body of the
   * answer (F31), or of a Blob's bytes each piece.
   */
  async #exchange(
    { timeoutMs, ...authorized }: Authorized & { readonly timeoutMs: number },
    fetch: Fetch,
    main: (request: Request) => Promise<Response>,
  ): Promise<RequestOutcome> {
    const controller = new AbortController()
    this.#underWay = controller
    const { signal } = controller
    const silence = new Silence(timeoutMs, () => controller.abort(new NoAnswer('timeout')))
    const givenUp = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    const send = requestsTo(this.#server, authorized, signal)
    const heard = () => silence.broken()
    const request: Request = Object.assign(
      (path: string, init?: RequestInit) => {
        heard()
        return send(path, init)
      },
      { heard },
    )
    const work = async () => {
      const outcome = await wholeAnswer(await main(request))
      if (outcome.status === 200) await fetch(outcome.body, request)
      return outcome
    }
    const outcome = await Promise.race([work(), givenUp]).catch(noAnswer)
    silence.end()
    // By now it may be a later request that is under way.
    if (this.#underWay === controller) this.#underWay = undefined
    return outcome
  }
}

/** The body of a push, compressed where `compress` says so and it can pay. */
export async function pushBody(
  envelope: string,
  texts: readonly string[],
  compress: boolean,
): Promise<{ body: BodyInit; encoding?: string }> {
  const body = `${envelope}${texts.join(',')}]}`
  if (!compress || body.length < COMPRESS_FROM_CHARS || typeof CompressionStream === 'undefined') {
    return { body }
  }
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream('gzip'))
  const compressed = await new Response(stream).arrayBuffer()
  return compressed.byteLength > COMPRESSED_BYTES_MAX
    ? { body }
    : { body: compressed, encoding: 'gzip' }
}
