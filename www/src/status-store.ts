/** Holds the current status and tells who listens when it changes. */

import { report } from './error'
import { INITIAL_STATUS, type SyncStatus } from './status'

/** A store in the sense of React's `useSyncExternalStore`. */
export class StatusStore {
  #status: SyncStatus = INITIAL_STATUS
  readonly #listeners = new Set<() => void>()

  /** The current status: the same object until something in it changes. */
  readonly getStatus = (): SyncStatus => this.#status

  /** Calls `listener` after each change, until the function that is given back is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    // Each subscription is its own, also of one function twice.
    const own = () => listener()
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  /** Changes some of the status. */
  update(change: Partial<SyncStatus>): void {
    // Equal parts stay the same objects, so that who selects one sees no change.
    const news = Object.entries(change).filter(
      ([name, value]) => !same(this.#status[name as keyof SyncStatus], value),
    )
    if (news.length === 0) {
      return
    }
    this.#status = Object.freeze({ ...this.#status, ...Object.fromEntries(news) })
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) {
        notify(listener)
      }
    }
  }
}

function notify(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    report(error)
  }
}

/** Equal in what the status can hold: primitives, and objects of primitives. */
function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b))
}
