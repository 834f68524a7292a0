/** What all requests to the server have in common. */

import type { CloudSyncOptions } from '../config'
import type { RequestOutcome, TransportFailure } from './interface'

/** Thrown where no answer comes. */
export class NoAnswer extends Error {
  constructor(readonly failure: TransportFailure) {
    super(failure)
  }
}

/** Thrown where the server answers, and that answer is what the engine is told. */
export class Refused extends Error {
  constructor(readonly outcome: RequestOutcome) {
    super('refused')
  }
}

/** Sends a request to `/api/sync/…`. */
export interface Request {
  (path: string, init?: RequestInit): Promise<Response>
  /** Says that a piece of an answer has come: the line is slow, not dead. */
  heard?: () => void
}

/** Whose token, and whether the one at hand was refused. */
export interface Authorized {
  readonly subject: string
  readonly token: 'request' | 'expired'
}

/** What a request is sent by. */
export interface Server {
  /** The address without a slash at its end. */
  readonly url: string
  readonly getToken: CloudSyncOptions['getToken']
}

/**
 * Makes what sends requests with a bearer token, the same for all of them; a token that comes after
 * they were given up goes no further.
 *
 * No cache mode is set: any but the default makes browsers ask for permission anew (a preflight) before
 * each request, and what the server answers is marked not to be stored.
 */
export function requestsTo(
  { url, getToken }: Server,
  { subject, token: reason }: Authorized,
  signal: AbortSignal,
): Request {
  let token: Promise<string> | undefined
  return async (path, { headers, ...init } = {}) => {
    token ??= bearerToken(getToken, reason, subject)
    const authorization = `Bearer ${await token}`
    signal.throwIfAborted()
    return fetch(`${url}/api/sync/${path}`, {
      ...init,
      headers: { ...headers, authorization },
      credentials: 'omit',
      // A redirect is a captive portal or a mistake: never send a user's data after it.
      redirect: 'error',
      signal,
    })
  }
}

async function bearerToken(
  getToken: Server['getToken'],
  reason: Authorized['token'],
  userId: string,
): Promise<string> {
  let token: string | null
  try {
    token = await getToken({ reason, userId })
  } catch {
    throw new NoAnswer('token-failed')
  }
  if (typeof token !== 'string') throw new NoAnswer('no-token')
  return token
}

/** The whole of an answer. */
export async function wholeAnswer(
  response: Response,
): Promise<Extract<RequestOutcome, { is: 'answer' }>> {
  return {
    is: 'answer',
    status: response.status,
    retryAfter: inSeconds(response.headers.get('retry-after')),
    body: await response.text(),
  }
}

/** A `Retry-After` that gives a date is told in seconds from now, by this device's clock. */
function inSeconds(retryAfter: string | null): string | null {
  const at = retryAfter?.endsWith('GMT') ? Date.parse(retryAfter) : Number.NaN
  if (Number.isNaN(at)) return retryAfter
  return String(Math.max(0, Math.ceil((at - Date.now()) / 1000)))
}

/** What the engine is told of an error: below HTTP the browser does not tell scripts why. */
export function noAnswer(error: unknown): RequestOutcome {
  if (error instanceof Refused) return error.outcome
  return { is: 'failed', failure: error instanceof NoAnswer ? error.failure : 'network' }
}

/** Calls back once nothing has happened for a while. */
export class Silence {
  #timer: ReturnType<typeof setTimeout> | undefined
  #ended = false

  constructor(
    private readonly ms: number,
    private readonly over: () => void,
  ) {
    this.broken()
  }

  /** What goes on after the end counts no more. */
  broken(): void {
    if (this.#ended) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.over, this.ms)
  }

  end(): void {
    this.#ended = true
    clearTimeout(this.#timer)
  }
}
