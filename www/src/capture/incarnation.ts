let id: string | undefined

/** Random id of this page, made at its first use. */
export function incarnation(): string {
  if (id === undefined) {
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  return id
}
