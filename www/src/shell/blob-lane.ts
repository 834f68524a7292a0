/**
 * The lane of Blobs: their bytes go to the server and come from there in chunks, by their SHA-256,
 * beside the records that name them (docs/protocol.md).
 */

import { encodeBase64url } from '../base64url'
import { BLOB_BYTES_MAX } from '../values/encode'
import { sharingOf } from '../values/sharing'
import type { RequestOutcome } from './interface'
import { NoAnswer, Refused, type Request, wholeAnswer } from './request'

/** Most bytes of one chunk. */
export const CHUNK_BYTES_MAX: number = 1024 * 1024

const CHUNK_BYTES_MIN = 64 * 1024

const BYTES = { 'content-type': 'application/octet-stream' }

/** Chunks of an upload that may come to nothing. */
const FRUITLESS_MAX = 3

/** What a value says of a Blob's bytes. */
export interface BlobName {
  readonly hash: string
  readonly size: number
  /** The space whose record names it; absent for the user's own. */
  readonly space?: string
}

/** The space that every user has alone. */
export const OWN_SPACE = '~'

/** Blobs by their hashes. */
export type BlobMap = ReadonlyMap<string, Blob>

/** What the server has of a Blob. */
interface Progress {
  readonly received: number
  readonly complete: boolean
}

const NOTHING: Progress = { received: 0, complete: false }

/**
 * The hashes of all Blobs and Files in values as structured clone returns them. Left out is what is too
 * large, and what cannot be read: a File whose file has changed.
 *
 * One after the other, since browsers hash only what is in memory as a whole.
 */
export async function hashBlobs(values: readonly unknown[]): Promise<Map<Blob, string>> {
  const hashes = new Map<Blob, string>()
  for (const object of sharingOf(values).all) {
    if (!(object instanceof Blob) || object.size > BLOB_BYTES_MAX) continue
    const hash = await hashOf(object).catch(() => undefined)
    if (hash !== undefined) hashes.set(object, hash)
  }
  return hashes
}

/** The Blobs that were hashed. */
export function byHash(hashes: ReadonlyMap<Blob, string>): BlobMap {
  return new Map([...hashes].map(([blob, hash]) => [hash, blob]))
}

/** Browsers hash in secure contexts only: over HTTPS, and on localhost. Elsewhere no Blob is sent or taken. */
export function canHash(): boolean {
  return globalThis.crypto?.subtle !== undefined
}

async function hashOf(blob: Blob): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())
  return encodeBase64url(new Uint8Array(digest))
}

/** How much is sent at a time: less where requests fail, so that a slow line gets on as well. */
export interface Pace {
  chunkBytes: number
}

/**
 * Brings a Blob to the server, from where the server has it on.
 *
 * @throws Refused, and what `request` throws
 */
export async function uploadBlob(
  request: Request,
  { hash, space }: BlobName,
  blob: Blob,
  pace: Pace,
): Promise<void> {
  const { size } = blob
  const status = await request(`blob/${hash}/status${inSpace('?', space)}`)
  let { received, complete } = await progressIn(status, size)
  for (let left = FRUITLESS_MAX; !complete; ) {
    const before = received
    const chunk = await readable(blob.slice(before, before + pace.chunkBytes))
    const path = `blob/${hash}?size=${size}&offset=${before}${inSpace('&', space)}`
    const answer = await paced(pace, () =>
      request(path, { method: 'POST', headers: BYTES, body: chunk }),
    )
    // All of it is there and something else than was sent: the server has thrown it away.
    const damaged = answer.status === 422
    if (damaged && left === 1) throw new Refused(await wholeAnswer(answer))
    const progress = damaged ? NOTHING : await progressIn(answer, size)
    ;({ received, complete } = progress)
    if (received <= before && !complete) left -= 1
    if (left === 0) throw new NoAnswer('network')
  }
}

function inSpace(mark: '?' | '&', space: string | undefined): string {
  return space === undefined ? '' : `${mark}space=${encodeURIComponent(space)}`
}

async function paced(pace: Pace, send: () => Promise<Response>): Promise<Response> {
  const { chunkBytes } = pace
  pace.chunkBytes = Math.max(chunkBytes / 2, CHUNK_BYTES_MIN)
  const answer = await send()
  pace.chunkBytes = Math.min(chunkBytes * 2, CHUNK_BYTES_MAX)
  return answer
}

/** The bytes of a Blob. Where they are gone the operation cannot be sent, and is held. */
async function readable(blob: Blob): Promise<ArrayBuffer> {
  try {
    return await blob.arrayBuffer()
  } catch {
    throw unreadable()
  }
}

/** What is told of a Blob whose bytes are gone: as of an operation that the server refuses. */
export function unreadable(): Refused {
  return new Refused(refused('blob-unreadable', 'the bytes of a Blob are gone'))
}

function refused(code: string, message: string): RequestOutcome {
  return { is: 'answer', status: 422, retryAfter: null, body: JSON.stringify({ code, message }) }
}

/** What an answer says of a Blob; also the one that the chunk does not stand where the server has come to. */
async function progressIn(response: Response, size: number): Promise<Progress> {
  if (!response.ok && response.status !== 409) throw new Refused(await refusal(response))
  const { received, complete }: Partial<Progress> = await response.json()
  // Anything in between may answer 200.
  if (!Number.isInteger(received) || Number(received) > size) throw new NoAnswer('network')
  return { received: Number(received), complete: complete === true }
}

/** A server without this lane cannot take the operation, and says so as for one that it cannot read. */
async function refusal(response: Response): Promise<RequestOutcome> {
  if (![404, 405, 501].includes(response.status)) return wholeAnswer(response)
  return refused('blobs-not-taken', 'the server takes no Blobs')
}

/**
 * Fetches the bytes of a Blob; undefined where the server says that it has them not. `parts` has what came before it broke off the last time, and gets what
 * comes now.
 *
 * @throws Refused, NoAnswer where something else comes, and what `request` throws
 */
export async function downloadBlob(
  request: Request,
  { hash, size, space }: BlobName,
  parts: Blob[],
): Promise<Blob | undefined> {
  let received = parts.reduce((sum, part) => sum + part.size, 0)
  while (received < size) {
    const response = await request(`blob/${hash}?offset=${received}${inSpace('&', space)}`)
    if (await isMissing(response)) return undefined
    if (!response.ok) throw new Refused(await later(response))
    const came = await takePieces(response, size - received, parts, request.heard)
    if (came === 0) throw new NoAnswer('network')
    received += came
  }
  const blob = new Blob(parts)
  if ((await hashOf(blob)) === hash) return blob
  parts.length = 0
  throw new NoAnswer('network')
}

/** Reads what an answer brings, at most `most` bytes. What has come is kept also where it breaks off. */
async function takePieces(
  response: Response,
  most: number,
  parts: Blob[],
  heard: Request['heard'],
): Promise<number> {
  const reader = response.body?.getReader()
  if (reader === undefined) return 0
  const pieces: Uint8Array<ArrayBuffer>[] = []
  let came = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return came
      heard?.()
      came += value.length
      if (came > most) {
        pieces.length = 0
        void reader.cancel()
        throw new NoAnswer('network')
      }
      pieces.push(value)
    }
  } finally {
    if (pieces.length > 0) parts.push(new Blob(pieces))
  }
}

/** Whether the server itself has not the Blob: anything in between may answer 404. */
async function isMissing(response: Response): Promise<boolean> {
  if (response.status !== 404) return false
  const answer: unknown = await response.json().catch(() => undefined)
  return (answer as { code?: unknown } | null | undefined)?.code === 'not-found'
}

/** Without a Blob its record cannot be stored: a failure of the server's unless it says "later" or "who". */
async function later(response: Response): Promise<RequestOutcome> {
  const { status } = response
  if (status === 401 || status === 403 || status === 429 || status >= 500) {
    return wholeAnswer(response)
  }
  return { is: 'failed', failure: 'network' }
}

/** The Blobs and Files that wire forms name, parsed, of records of one space. */
export function namedBlobs(parsed: unknown, space: unknown = OWN_SPACE): BlobName[] {
  const shared = typeof space === 'string' && space !== OWN_SPACE ? { space } : {}
  const names: BlobName[] = []
  const waiting = [parsed]
  for (const value of waiting) {
    if (typeof value !== 'object' || value === null) continue
    for (const part of Object.values(value)) waiting.push(part)
    if (!Array.isArray(value) || (value[0] !== '~blob' && value[0] !== '~file')) continue
    const [size, hash] = value.slice(-2)
    // What is of another form is refused when it is decoded.
    if (size <= BLOB_BYTES_MAX && /^[\w-]{43}$/.test(hash)) names.push({ size, hash, ...shared })
  }
  return names
}
