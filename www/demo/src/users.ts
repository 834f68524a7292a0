/** Who can be signed in. Each has a database of their own. */
export const USERS = [
  { id: 'ada', name: 'Ada' },
  { id: 'grace', name: 'Grace' },
] as const

export type User = (typeof USERS)[number]

/** The user that the page's address names. */
export function currentUser(): User {
  const wanted = new URLSearchParams(location.search).get('user')
  return USERS.find(({ id }) => id === wanted) ?? USERS[0]
}
