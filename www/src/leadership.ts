/**
 * Which tab runs the engine: the one that holds a Web Lock. The lock is how tabs agree; what makes it
 * safe is the fence in the database, which a late leader's writes do not pass.
 */

/** Called when this tab begins and ceases to lead. */
export interface LeadershipEvents {
  lead(): void
  follow(): void
}

/** One tab's part in the choice of a leader for one database. */
export class Leadership {
  readonly #name: string
  readonly #events: LeadershipEvents
  #queued: AbortController | undefined
  #release: (() => void) | undefined
  #running = false

  constructor(database: string, events: LeadershipEvents) {
    this.#name = `tidesync:${database}:leader`
    this.#events = events
  }

  /** Whether this tab leads. */
  get leads(): boolean {
    return this.#release !== undefined
  }

  /** Leads as soon as no other tab does. */
  start(): void {
    if (!this.#running) {
      this.#running = true
      this.#request({ steal: false })
    }
  }

  /** Leads at once: the leader does not answer, or another tab serves the user better (F13). */
  takeOver(): void {
    if (this.#running && !this.leads) {
      this.#queued?.abort()
      this.#request({ steal: true })
    }
  }

  /** Lets another tab lead, and stands in line again. */
  yield(): void {
    if (this.leads) {
      this.#end()
      this.#request({ steal: false })
    }
  }

  /** Leads no more and stands in no line. */
  stop(): void {
    this.#running = false
    this.#queued?.abort()
    this.#end()
  }

  #request({ steal }: { steal: boolean }): void {
    if (navigator.locks === undefined) {
      // No locks outside secure contexts: every tab may lead, and the fence lets only the last.
      this.#begin(() => undefined)
      return
    }
    const queued = new AbortController()
    this.#queued = queued
    const options: LockOptions = steal ? { steal } : { signal: queued.signal }
    navigator.locks
      .request(this.#name, options, () => this.#hold())
      .catch((error: unknown) => this.#lost(queued, error))
  }

  #hold(): Promise<void> {
    return new Promise((release) => {
      if (this.#running) {
        this.#begin(release)
      } else {
        release()
      }
    })
  }

  #begin(release: () => void): void {
    this.#release = release
    this.#events.lead()
  }

  #end(): void {
    const release = this.#release
    this.#release = undefined
    if (release !== undefined) {
      this.#events.follow()
      release()
    }
  }

  /** The lock was stolen, or the request for it given up. */
  #lost(queued: AbortController, error: unknown): void {
    if (queued.signal.aborted) {
      return
    }
    if (!(error instanceof DOMException && error.name === 'AbortError')) {
      throw error
    }
    this.#end()
    if (this.#running) {
      this.#request({ steal: false })
    }
  }
}
