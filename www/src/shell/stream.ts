/** The stream of pokes: server-sent events over `fetch`, which takes a bearer token. */

import type { OpenStream, RequestOutcome } from './interface'
import { NoAnswer, noAnswer, requestsTo, type Server, Silence, wholeAnswer } from './request'

/** A server says something at least every 20 s (docs/protocol.md); a line that is silent for longer is dead. */
const SILENCE_MS = 45_000

/** No line of a stream is longer. */
const LINE_CHARS_MAX = 65_536

/** At most one open stream. */
export class PokeStream {
  readonly #server: Server
  #open: AbortController | undefined

  constructor(server: Server) {
    this.#server = server
  }

  /**
   * Opens the stream in the place of the one before, calls `poked` for each poke, and resolves when it
   * has ended: to undefined where {@link close} has ended it.
   */
  async open(stream: OpenStream, poked: () => void): Promise<RequestOutcome | undefined> {
    this.close()
    const controller = new AbortController()
    this.#open = controller
    const silence = new Silence(SILENCE_MS, () => controller.abort(new NoAnswer('timeout')))
    const { signal } = controller
    const givenUp = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    const listening = this.#listen(stream, signal, silence, poked)
    const outcome = await Promise.race([listening, givenUp]).catch(noAnswer)
    silence.end()
    controller.abort()
    if (this.#open !== controller) return undefined
    this.#open = undefined
    return outcome
  }

  /** Closes the stream, if there is one. */
  close(): void {
    const open = this.#open
    this.#open = undefined
    open?.abort()
  }

  async #listen(
    stream: OpenStream,
    signal: AbortSignal,
    silence: Silence,
    poked: () => void,
  ): Promise<RequestOutcome> {
    const request = requestsTo(this.#server, stream, signal)
    const response = await request('stream', { headers: { accept: 'text/event-stream' } })
    if (response.status !== 200 || response.body === null) return wholeAnswer(response)
    const events = new EventReader((name) => {
      // What was read before it was closed is not told any more.
      if (name === 'poke' && !signal.aborted) poked()
    })
    const decoder = new TextDecoder()
    const reader = response.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { is: 'answer', status: 200, retryAfter: null, body: '' }
      silence.broken()
      events.read(decoder.decode(value, { stream: true }))
    }
  }
}

/** Reads the text of server-sent events piece by piece, and tells the name of each event. */
export class EventReader {
  readonly #tell: (name: string) => void
  #rest = ''
  #name = 'message'
  #hasData = false

  constructor(tell: (name: string) => void) {
    this.#tell = tell
  }

  /** Takes the next piece of the text. */
  read(text: string): void {
    const all = this.#rest + text
    // A carriage return at the end may be half of a line's end.
    const lines = all.split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > LINE_CHARS_MAX) throw new NoAnswer('network')
    for (const line of lines) this.#line(line)
  }

  #line(line: string): void {
    if (line === '') {
      if (this.#hasData) this.#tell(this.#name)
      this.#name = 'message'
      this.#hasData = false
      return
    }
    const [field] = line.split(':', 1)
    if (field === 'event') this.#name = line.slice(field.length + 1).trim()
    else if (field === 'data') this.#hasData = true
  }
}
