/** Ids that are unique without anybody's help. */

/** 128 random bits as 32 hex digits. (`crypto.randomUUID` is missing outside secure contexts.) */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
