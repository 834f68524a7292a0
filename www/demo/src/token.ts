/** Bearer tokens of the development server. A real app asks its own session for them. */

import type { TokenRequest } from 'tidesync'

/** Gives the function that Tidesync asks; `server` is the sync server's address. */
export function tokensOf(server: string): (request: TokenRequest) => Promise<string> {
  const tokens = new Map<string, Promise<string>>()
  return async ({ reason, userId }) => {
    if (reason === 'expired') {
      tokens.delete(userId)
    }
    const token = tokens.get(userId) ?? fetchToken(server, userId)
    tokens.set(userId, token)
    try {
      return await token
    } catch (error) {
      tokens.delete(userId)
      throw error
    }
  }
}

async function fetchToken(server: string, userId: string): Promise<string> {
  const response = await fetch(`${server}/api/dev/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ userId }),
  })
  if (!response.ok) {
    throw new Error(`no token: the server answered ${response.status}`)
  }
  const { token } = (await response.json()) as { token: string }
  return token
}
