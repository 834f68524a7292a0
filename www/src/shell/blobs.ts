/** The Blobs under way between the app's database and the server. */

import {
  type BlobMap,
  type BlobName,
  byHash,
  CHUNK_BYTES_MAX,
  canHash,
  downloadBlob,
  hashBlobs,
  namedBlobs,
  type Pace,
  unreadable,
  uploadBlob,
} from './blob-lane'
import type { Request } from './request'

/**
 * What Blobs are there for: values that were made ready or chosen, the answers that came last, and the
 * rows of what is staged and held.
 */
export type Group =
  | 'prepared'
  | 'chosen'
  | 'pulled'
  | 'pushed'
  | `staged ${number}`
  | `held ${string}`

/** Blobs that stay at hand when they are done with: the server names them once more in what is pulled. */
const RECENT_MAX = 256
/** Most bytes of them together. */
const RECENT_BYTES_MAX = 64 * 1024 * 1024

/** What may name Blobs: the tag as it stands, or with escapes in it. */
const MAY_NAME = /"~(?:blob|file)"|\\u00[67]/

const NONE: BlobMap = new Map()

/** All of them, and their way to the server and from there. */
export class Blobs {
  readonly #groups = new Map<Group, BlobMap>()
  readonly #recent = new Map<string, Blob>()
  /** What came before a download broke off: whole ones, and the parts of one. */
  readonly #arrived = new Map<string, Blob>()
  readonly #parts = new Map<string, Blob[]>()
  /** What the server is known to have. */
  readonly #uploaded = new Set<string>()
  readonly #pace: Pace = { chunkBytes: CHUNK_BYTES_MAX }

  /** A Blob that is at hand. */
  get(hash: string): Blob | undefined {
    for (const group of this.#groups.values()) {
      const blob = group.get(hash)
      if (blob !== undefined) return blob
    }
    return this.#arrived.get(hash) ?? this.#recent.get(hash)
  }

  /** Keeps Blobs for a group in the place of those before; without any, it is done with. */
  keep(group: Group, blobs: BlobMap = NONE): void {
    this.#remember(this.#groups.get(group) ?? NONE)
    if (blobs.size > 0) this.#groups.set(group, blobs)
    else this.#groups.delete(group)
  }

  #remember(blobs: BlobMap): void {
    for (const [hash, blob] of blobs) {
      this.#recent.delete(hash)
      this.#recent.set(hash, blob)
    }
    let bytes = 0
    for (const { size } of this.#recent.values()) bytes += size
    for (const [hash, { size }] of this.#recent) {
      if (this.#recent.size <= RECENT_MAX && bytes <= RECENT_BYTES_MAX) return
      this.#recent.delete(hash)
      bytes -= size
    }
  }

  /** Hashes the Blobs of values, and keeps them for the group. */
  async hash(group: Group, values: readonly unknown[]): Promise<ReadonlyMap<Blob, string>> {
    const hashes = await hashBlobs(values)
    this.keep(group, byHash(hashes))
    return hashes
  }

  /** Those that texts name, as far as they are at hand. */
  namedIn(texts: readonly string[]): BlobMap {
    const found = new Map<string, Blob>()
    for (const { hash } of texts.flatMap((text) => namedIn(text))) {
      const blob = this.get(hash)
      if (blob !== undefined) found.set(hash, blob)
    }
    return found
  }

  /** Whether all that a text names is at hand. */
  hasAllOf(text: string): boolean {
    return namedIn(text).every(({ hash }) => this.get(hash) !== undefined)
  }

  /** Brings to the server what operations name. */
  async send(texts: readonly string[], request: Request): Promise<void> {
    for (const name of texts.flatMap((text) => namedIn(text))) {
      // Each space has its own.
      const mark = `${name.hash} ${name.space}`
      if (this.#uploaded.has(mark)) continue
      const blob = this.get(name.hash)
      if (blob === undefined) throw unreadable()
      await uploadBlob(request, name, blob, this.#pace)
      this.#uploaded.add(mark)
    }
  }

  /** Brings from the server what verdicts name. */
  async fetchFor(body: string, request: Request): Promise<void> {
    if (body.includes('"blob-missing"')) this.forgetUploads()
    await this.fetch('pushed', namedIn(body, true), request)
  }

  /** What the server was known to have, it may not have any more, or not of another user. */
  forgetUploads(): void {
    this.#uploaded.clear()
  }

  /** Brings from the server what an answer names. What the server has not is left out, and so is its record. */
  async fetch(
    group: 'pulled' | 'pushed',
    names: readonly BlobName[],
    request: Request,
  ): Promise<void> {
    const blobs = new Map<string, Blob>()
    for (const name of names) {
      const blob = await this.#fetch(name, request)
      if (blob !== undefined) blobs.set(name.hash, blob)
    }
    this.keep(group, blobs)
    this.#arrived.clear()
  }

  async #fetch(name: BlobName, request: Request): Promise<Blob | undefined> {
    const { hash } = name
    const known = this.get(hash)
    if (known !== undefined || !canHash()) return known
    const parts = this.#parts.get(hash) ?? []
    this.#parts.set(hash, parts)
    const blob = await downloadBlob(request, name, parts)
    this.#parts.delete(hash)
    if (blob !== undefined) this.#arrived.set(hash, blob)
    return blob
  }
}

/** Whether a text of wire forms may name Blobs; most need not be looked through. */
export function mayNameBlobs(text: string): boolean {
  return MAY_NAME.test(text)
}

/**
 * What the text of an operation or record names, or that of an answer to a push; nothing where it is
 * no JSON: whoever reads it says so.
 */
function namedIn(text: string, isAnswer = false): BlobName[] {
  try {
    if (!mayNameBlobs(text)) return []
    const said = JSON.parse(text)
    if (!isAnswer) return namedBlobs(said, said?.space)
    const verdicts: { record?: { space?: unknown } }[] = said.verdicts
    return verdicts.flatMap((verdict) => namedBlobs(verdict, verdict.record?.space))
  } catch {
    return []
  }
}
