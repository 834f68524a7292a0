import type { Device } from './devices'

/** Who can be signed in. */
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

/** The address that shows a user's device, or all of the user's devices. */
export function addressOf(user: User, device?: Device): string {
  const named = device === undefined ? {} : { device: device.id }
  return `/?${new URLSearchParams({ user: user.id, ...named })}`
}
