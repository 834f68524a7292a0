/** What the app of this tab, or of another, has asked of the engine and waits for. */

import { randomId } from './ids'
import type { CallRequest } from './tabs'

interface Waiting {
  readonly request: CallRequest
  readonly resolve: (ok: boolean) => void
}

/** Calls under way. */
export class Calls {
  /** What this tab's app waits for. */
  readonly #waiting = new Map<string, Waiting>()
  /** The calls of all tabs that this tab's engine has got, by its numbers for them. */
  readonly #numbers = new Map<number, string>()

  /** This tab's calls that are not answered. */
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

  /** This tab's engine has got a call. */
  numbered(number: number, id: string): void {
    this.#numbers.set(number, id)
  }

  /** The engine has answered a call: gives its id. */
  resolved(number: number): string | undefined {
    const id = this.#numbers.get(number)
    this.#numbers.delete(number)
    return id
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

  /** This tab does not lead any more: its numbers mean nothing. */
  forgetNumbers(): void {
    this.#numbers.clear()
  }
}
