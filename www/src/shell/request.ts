/** What all requests to the server have in common. */

import type { CloudSyncOptions } from '../config'
import type { RequestOutcome, TransportFailure } from './interface'

/** Thrown where no answer comes. */
export class NoAnswer extends Error {
  constructor(readonly failure: TransportFailure) {
    super(failure)
  }
}

/** Whose token, and whether the one at hand was refused. */
interface Authorized {
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
 * Sends a request to `/api/sync/…` with a bearer token; a token or a body that comes after the request
 * was given up goes no further.
 *
 * No cache mode is set: any but the default makes browsers ask for permission anew (a preflight) before
 * each request, and what the server answers is marked not to be stored.
 */
export async function send(
  { url, getToken }: Server,
  path: string,
  { subject, token: reason }: Authorized,
  signal: AbortSignal,
  init: () => Promise<RequestInit> = async () => ({}),
): Promise<Response> {
  const token = await bearerToken(getToken, reason, subject)
  const { headers, ...rest } = await init()
  signal.throwIfAborted()
  return fetch(`${url}/api/sync/${path}`, {
    ...rest,
    headers: { ...headers, authorization: `Bearer ${token}` },
    credentials: 'omit',
    // A redirect is a captive portal or a mistake: never send a user's data after it.
    redirect: 'error',
    signal,
  })
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
export async function wholeAnswer(response: Response): Promise<RequestOutcome> {
  return {
    is: 'answer',
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.text(),
  }
}

/** What the engine is told of an error: below HTTP the browser does not tell scripts why. */
export function noAnswer(error: unknown): RequestOutcome {
  return { is: 'failed', failure: error instanceof NoAnswer ? error.failure : 'network' }
}
