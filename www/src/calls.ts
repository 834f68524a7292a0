/** What the app of this tab has asked of the engine and waits for. */

import { randomId } from './ids'
import type { CallRequest } from './tabs'

interface Waiting {
  readonly request: CallRequest
  readonly resolve: (ok: boolean) => void
}

/** What this tab's app waits for. */
export class Calls {
  readonly #waiting = new Map<string, Waiting>()

  /** The calls that are not answered. */
  get waiting(): readonly (readonly [id: string, request: CallRequest])[] {
    return [...this.#waiting].map(([id, { request }]) => [id, request] as const)
  }

  /** A call of this tab: `send` brings it to the leader. */
  begin(request: CallRequest, send: (id: string) => void): Promise<boolean> {
    const id = randomId()
    const settled = new Promise<boolean>((resolve) => this.#waiting.set(id, { request, resolve }))
    send(id)
    return settled
  }

  /** Answers a call of this tab; false where it is none. */
  settle(id: string, ok: boolean): boolean {
    const call = this.#waiting.get(id)
    this.#waiting.delete(id)
    call?.resolve(ok)
    return call !== undefined
  }

  /** Nobody answers any more. */
  failAll(): void {
    for (const id of [...this.#waiting.keys()]) this.settle(id, false)
  }
}
