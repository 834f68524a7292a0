/** Base64 with the URL alphabet and without padding (RFC 4648 section 5). */

/** How many bytes are turned into characters by one call: engines limit the number of arguments. */
const CHUNK = 8192

/** The text of `bytes`. */
export function encodeBase64url(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** The bytes of a text; undefined where it is not exactly what {@link encodeBase64url} makes. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  const bytes = Uint8Array.from(binary, (unit) => unit.charCodeAt(0))
  return encodeBase64url(bytes) === text ? bytes : undefined
}
