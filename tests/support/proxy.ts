import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** What becomes of one push or pull. */
export type Fate =
  /** To the server, and its answer back. */
  | { readonly is: 'forward' }
  /** To the server; its answer never comes back: the connection breaks, after `hold` if there is one. */
  | {
      readonly is: 'lose-answer'
      readonly hold?: Promise<unknown>
      /** Called when the server has answered. */
      readonly answered?: () => void
    }
  /** The connection breaks and nothing reaches the server. */
  | { readonly is: 'break' }
  /** Held until `until` resolves, and then what `next` says. */
  | { readonly is: 'hold'; readonly until: Promise<unknown>; readonly next: Fate }
  /** Something else answers in the server's place. */
  | {
      readonly is: 'answer'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }

/** A push that came by. */
export interface SeenPush {
  /** When it had come whole, in ms of this process's monotonic clock. */
  readonly at: number
  /** When its answer was on its way, or the connection broken; undefined before. */
  readonly endedAt: number | undefined
  /** The status that the page saw; undefined when it saw none. */
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: PushBody
}

/** As much of a push as tests look at. */
export interface PushBody {
  readonly client: string
  readonly subject: string
  readonly batch: string
  readonly ops: readonly {
    readonly op: string
    readonly table: string
    readonly rid: string
    readonly kind: string
    readonly value?: unknown
  }[]
}

/** A pull or a stream that came by. */
export interface SeenRead {
  readonly is: 'pull' | 'stream'
  /** The user of its token. */
  readonly user: string
  readonly query: URLSearchParams
  /** When its answer had ended, or the connection was broken; undefined before. */
  readonly endedAt: number | undefined
  /** The status that the page saw; undefined when it saw none. */
  readonly status: number | undefined
}

/** Decides about the n-th push, from 1. */
export type Script = (n: number, body: PushBody) => Fate

/** Decides about the n-th pull, from 1. */
export type PullScript = (n: number) => Fate

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

const FORWARD: Fate = { is: 'forward' }
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host'])

/** Stands between page and server, and does to pushes what the network and others do to them. */
export class TestProxy {
  readonly #target: string
  readonly #pushes: Mutable<SeenPush>[] = []
  readonly #reads: Mutable<SeenRead>[] = []
  readonly #preflights: string[] = []
  readonly #waiters = new Set<() => void>()
  #server: Server | undefined
  #port = 0
  #script: Script = () => FORWARD
  #pullScript: PullScript = () => FORWARD

  private constructor(target: string) {
    this.#target = target
  }

  /** A proxy on a free port before the server at `target`. */
  static async start(target: string): Promise<TestProxy> {
    const proxy = new TestProxy(target)
    await proxy.accept()
    return proxy
  }

  /** What pages take for the server. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The pushes so far, in the order in which they came. */
  get pushes(): readonly SeenPush[] {
    return this.#pushes
  }

  /** The paths for which a page has asked for permission. */
  get preflights(): readonly string[] {
    return this.#preflights
  }

  /** The pulls so far, in the order in which they came. */
  get pulls(): readonly SeenRead[] {
    return this.#reads.filter(({ is }) => is === 'pull')
  }

  /** The streams so far, in the order in which they came. */
  get streams(): readonly SeenRead[] {
    return this.#reads.filter(({ is }) => is === 'stream')
  }

  /** The streams that are open now. */
  get openStreams(): readonly SeenRead[] {
    return this.streams.filter(({ endedAt, status }) => endedAt === undefined && status === 200)
  }

  /** Every operation of every push so far that the page saw answered with 200. */
  get answeredOps(): PushBody['ops'] {
    return this.#pushes.filter(({ status }) => status === 200).flatMap(({ body }) => body.ops)
  }

  /** From the next push on, `script` decides; without one everything is forwarded. */
  script(script: Script = () => FORWARD): void {
    const before = this.#pushes.length
    this.#script = (n, body) => script(n - before, body)
  }

  /** From the next pull on, `script` decides; without one everything is forwarded. */
  scriptPulls(script: PullScript = () => FORWARD): void {
    const before = this.pulls.length
    this.#pullScript = (n) => script(n - before)
  }

  /** Refuses connections, and drops those that are open: the machine is there, the service is not. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }

  /** Takes connections again, at the same port. */
  async accept(): Promise<void> {
    const server = createServer((incoming, response) => {
      this.#handle(incoming, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  /** Resolves when `done` holds; it is asked now and after everything that happens here. */
  until(done: (proxy: TestProxy) => boolean): Promise<void> {
    if (done(this)) return Promise.resolve()
    return new Promise((resolve) => {
      const ask = () => {
        if (done(this)) {
          this.#waiters.delete(ask)
          resolve()
        }
      }
      this.#waiters.add(ask)
    })
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    // On a connection that was used before, Chromium sends a broken push again by itself.
    response.shouldKeepAlive = false
    const body = await whole(incoming)
    if (incoming.method === 'OPTIONS') this.#preflights.push(incoming.url ?? '')
    const { pathname, searchParams } = new URL(incoming.url ?? '/', this.#target)
    const is = READS[`${incoming.method} ${pathname}`]
    if (is !== undefined) {
      await this.#read(is, searchParams, incoming, response)
      return
    }
    if (incoming.method !== 'POST' || pathname !== '/api/sync/push') {
      await this.#forward(incoming, body, response)
      return
    }
    const seen: Mutable<SeenPush> = {
      at: performance.now(),
      endedAt: undefined,
      status: undefined,
      headers: incoming.headers,
      body: parse(incoming, body),
    }
    this.#pushes.push(seen)
    this.#changed()
    try {
      seen.status = await this.#suffer(
        this.#script(this.#pushes.length, seen.body),
        incoming,
        body,
        response,
      )
    } finally {
      seen.endedAt = performance.now()
      this.#changed()
    }
  }

  async #read(
    is: SeenRead['is'],
    query: URLSearchParams,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const user = subjectOf(incoming.headers.authorization)
    const seen: Mutable<SeenRead> = { is, user, query, endedAt: undefined, status: undefined }
    this.#reads.push(seen)
    this.#changed()
    try {
      if (is === 'pull') {
        const fate = this.#pullScript(this.pulls.length)
        seen.status = await this.#suffer(fate, incoming, Buffer.alloc(0), response)
      } else {
        await this.#pipe(incoming, response, (status) => {
          seen.status = status
          this.#changed()
        })
      }
    } finally {
      seen.endedAt = performance.now()
      this.#changed()
    }
  }

  /** Passes an answer on as it comes, until one of both sides ends it. */
  #pipe(
    incoming: IncomingMessage,
    response: ServerResponse,
    answered: (status: number) => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const outgoing = request(
        new URL(incoming.url ?? '/', this.#target),
        { method: 'GET', headers: passed(incoming.headers), agent: false },
        (answer) => {
          const status = answer.statusCode ?? 0
          response.writeHead(status, passed(answer.headers))
          response.flushHeaders()
          answered(status)
          answer.once('error', () => response.destroy())
          answer.pipe(response)
        },
      )
      outgoing.once('error', () => response.destroy())
      response.once('close', () => {
        outgoing.destroy()
        resolve()
      })
      outgoing.end()
    })
  }

  async #suffer(
    fate: Fate,
    incoming: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<number | undefined> {
    switch (fate.is) {
      case 'forward':
        return this.#forward(incoming, body, response)
      case 'lose-answer':
        await answerOf(this.#target, incoming, body)
        fate.answered?.()
        await fate.hold
        response.destroy()
        return undefined
      case 'break':
        response.destroy()
        return undefined
      case 'hold':
        await fate.until
        return this.#suffer(fate.next, incoming, body, response)
      case 'answer':
        response.writeHead(fate.status, {
          'access-control-allow-origin': incoming.headers.origin ?? '*',
          'access-control-expose-headers': 'retry-after',
          ...fate.headers,
        })
        response.end(fate.body ?? '')
        return fate.status
    }
  }

  async #forward(
    incoming: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<number | undefined> {
    try {
      const answer = await answerOf(this.#target, incoming, body)
      response.writeHead(answer.status, answer.headers)
      response.end(answer.body)
      return answer.status
    } catch {
      // The server is away: so is what stands before it.
      response.destroy()
      return undefined
    }
  }

  #changed(): void {
    for (const ask of [...this.#waiters]) ask()
  }
}

const READS: Readonly<Record<string, SeenRead['is']>> = {
  'GET /api/sync/pull': 'pull',
  'GET /api/sync/stream': 'stream',
}

/** The user whom a bearer token names; the server checks it. */
function subjectOf(authorization: string | undefined): string {
  const claims = authorization?.split('.')[1]
  if (claims === undefined) return ''
  const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as { sub?: unknown }
  return typeof sub === 'string' ? sub : ''
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function parse(incoming: IncomingMessage, body: Buffer): PushBody {
  const plain = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
  return JSON.parse(plain.toString('utf8')) as PushBody
}

function passed(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)))
}

function answerOf(
  target: string,
  incoming: IncomingMessage,
  body: Buffer,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(incoming.url ?? '/', target),
      { method: incoming.method, headers: passed(incoming.headers), agent: false },
      (answer) => {
        whole(answer).then(
          (bytes) =>
            resolve({
              status: answer.statusCode ?? 0,
              headers: passed(answer.headers),
              body: bytes,
            }),
          reject,
        )
      },
    )
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}
