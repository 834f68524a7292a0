/**
 * Which tab runs the engine: the one that holds a Web Lock. The lock is how tabs agree; what makes it
 * safe is the fence in the database, which a late leader's writes do not pass.
 */

import { report } from './error'

/** Called when this tab begins and ceases to lead. */
export interface LeadershipEvents {
  lead(): void
  follow(): void
}

/** One request for the lock, from its place in line to its end. */
interface Claim {
  readonly steal: boolean
  readonly givenUp: AbortController
  /** Ends it, once it was granted. */
  release: () => void
}

/** One tab's part in the choice of a leader for one database. */
export class Leadership {
  readonly #name: string
  readonly #events: LeadershipEvents
  #waiting: Claim | undefined
  #held: Claim | undefined
  #running = false
  /** Undefined outside secure contexts, and once the browser has refused one. */
  #locks: LockManager | undefined = navigator.locks

  constructor(database: string, events: LeadershipEvents) {
    this.#name = `tidesync:${database}:leader`
    this.#events = events
  }

  /** Leads as soon as no other tab does. */
  start(): void {
    if (!this.#running) {
      this.#running = true
      this.#claim(false)
    }
  }

  /** Leads at once: the leader does not answer, or another tab serves the user better (F13). */
  takeOver(): void {
    if (this.#running && this.#held === undefined && this.#waiting?.steal !== true) {
      this.#waiting?.givenUp.abort()
      this.#claim(true)
    }
  }

  /**
   * Lets another tab lead, and stands in line again. Without locks there is no line: this tab leads
   * again only by `takeOver`, when no other answers.
   */
  yield(): void {
    if (this.#held !== undefined) {
      this.#end()
      if (this.#locks !== undefined) {
        this.#claim(false)
      }
    }
  }

  /** Leads no more and stands in no line. */
  stop(): void {
    this.#running = false
    this.#waiting?.givenUp.abort()
    this.#waiting = undefined
    this.#end()
  }

  #claim(steal: boolean): void {
    const givenUp = new AbortController()
    const claim: Claim = { steal, givenUp, release: () => undefined }
    this.#waiting = claim
    if (this.#locks === undefined) {
      // Without locks every tab may lead, and the fence lets only the last.
      void this.#hold(claim)
      return
    }
    // A request that steals takes no signal.
    const options: LockOptions = steal ? { steal } : { signal: givenUp.signal }
    this.#locks
      .request(this.#name, options, () => this.#hold(claim))
      .catch((error: unknown) => this.#lost(claim, error))
  }

  #hold(claim: Claim): Promise<void> {
    if (this.#waiting !== claim) {
      return Promise.resolve()
    }
    this.#waiting = undefined
    return new Promise((release) => {
      claim.release = release
      this.#held = claim
      try {
        this.#events.lead()
      } catch (error) {
        report(error)
        this.#end()
      }
    })
  }

  #end(): void {
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) {
      this.#events.follow()
      held.release()
    }
  }

  /** The lock was stolen, or the request for it given up. */
  #lost(claim: Claim, error: unknown): void {
    if (this.#held === claim) {
      this.#end()
    } else if (this.#waiting !== claim) {
      return
    }
    if (!(error instanceof DOMException && error.name === 'AbortError')) {
      this.#locks = undefined
      report(error)
    }
    if (this.#running) {
      this.#claim(false)
    }
  }
}
