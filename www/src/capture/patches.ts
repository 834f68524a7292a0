/** Properties of prototypes that were replaced, and the way back. */
export class Patches {
  readonly #replaced: { target: object; name: string; before: PropertyDescriptor; now: unknown }[] =
    []

  /** Replaces a method; the new one keeps the name and the length of the old one. */
  method<T extends object>(
    target: T,
    name: string & keyof T,
    wrap: (native: Callable) => Callable,
  ): void {
    const before = descriptorOf(target, name)
    const native = before?.value as Callable | undefined
    if (before === undefined || native === undefined) return
    const now = wrap(native)
    Object.defineProperty(now, 'name', { value: native.name, configurable: true })
    Object.defineProperty(now, 'length', { value: native.length, configurable: true })
    Object.defineProperty(target, name, { ...before, value: now })
    this.#replaced.push({ target, name, before, now })
  }

  /** Replaces a getter. */
  getter<T extends object>(
    target: T,
    name: string & keyof T,
    wrap: (native: () => unknown) => () => unknown,
  ): void {
    const before = descriptorOf(target, name)
    if (before?.get === undefined) return
    const now = wrap(before.get)
    Object.defineProperty(now, 'name', { value: before.get.name, configurable: true })
    Object.defineProperty(target, name, { ...before, get: now })
    this.#replaced.push({ target, name, before, now })
  }

  /**
   * Puts everything back; false, and nothing is touched, when others have since replaced what is ours:
   * theirs calls ours, so ours has to stay, and then does nothing.
   */
  restore(): boolean {
    const ours = this.#replaced.every(({ target, name, now }) => {
      const current = descriptorOf(target, name)
      return (current?.get ?? (current?.value as unknown)) === now
    })
    if (!ours) return false
    for (const { target, name, before } of this.#replaced.splice(0).reverse()) {
      Object.defineProperty(target, name, before)
    }
    return true
  }
}

/** A method as it is called on any object. */
export type Callable = (this: unknown, ...args: unknown[]) => unknown

function descriptorOf(target: object, name: string): PropertyDescriptor | undefined {
  return Object.getOwnPropertyDescriptor(target, name)
}
