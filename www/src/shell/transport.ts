/** One request at a time to the server: a push or a pull. */

import type { Pull, Push, RequestOutcome } from './interface'
import { NoAnswer, noAnswer, type Server, send, wholeAnswer } from './request'

/** Bodies below this are sent as they are: compressing them saves nothing. */
const COMPRESS_FROM_CHARS = 1024

/** A server takes no compressed body above this (docs/protocol.md); a plain one may be larger. */
const COMPRESSED_BYTES_MAX = 1024 * 1024

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

  /** Sends operations of a batch, whose `texts` are undefined where it is not stored. */
  push(push: Push, texts: readonly string[] | undefined): Promise<RequestOutcome> {
    return this.#exchange(push.timeoutMs, (signal) =>
      send(this.#server, 'push', push, signal, async () => {
        if (texts === undefined) throw new NoAnswer('no-batch')
        const ops = texts.slice(push.first, push.last)
        const { body, encoding } = await pushBody(push.envelope, ops, this.#compress)
        return {
          method: 'POST',
          body,
          headers: {
            'content-type': 'application/json',
            ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
          },
        }
      }),
    )
  }

  /** Asks for what is new. */
  pull(pull: Pull): Promise<RequestOutcome> {
    return this.#exchange(pull.timeoutMs, (signal) =>
      send(this.#server, `pull?${pull.query}`, pull, signal),
    )
  }

  /** The time limit covers the token, the request and the whole body of the answer (F31). */
  async #exchange(
    timeoutMs: number,
    request: (signal: AbortSignal) => Promise<Response>,
  ): Promise<RequestOutcome> {
    const controller = new AbortController()
    this.#underWay = controller
    let timer: ReturnType<typeof setTimeout> | undefined
    const timeout = new Promise<RequestOutcome>((resolve) => {
      timer = setTimeout(() => {
        resolve({ is: 'failed', failure: 'timeout' })
        controller.abort()
      }, timeoutMs)
    })
    const answer = request(controller.signal).then(wholeAnswer).catch(noAnswer)
    const outcome = await Promise.race([answer, timeout])
    clearTimeout(timer)
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
