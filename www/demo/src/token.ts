/** Bearer tokens of the development server. A real app asks its own session for them. */

import type { TokenRequest } from 'tidesync'

const tokens = new Map<string, Promise<string>>()

/** The user's token, asked for again when the server has refused the last. */
export async function getToken({ reason, userId }: TokenRequest): Promise<string> {
  if (reason === 'expired') {
    tokens.delete(userId)
  }
  const token = tokens.get(userId) ?? fetchToken(userId)
  tokens.set(userId, token)
  try {
    return await token
  } catch (error) {
    tokens.delete(userId)
    throw error
  }
}

async function fetchToken(userId: string): Promise<string> {
  const response = await fetch('/api/dev/token', {
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
