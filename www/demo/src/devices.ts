/** The devices that the demo plays. Each has a database and a network of its own. */
export const DEVICES = [
  { id: 'laptop', name: 'Laptop' },
  { id: 'phone', name: 'Phone' },
] as const

export type Device = (typeof DEVICES)[number]

/** The device that the page's address names; undefined for the page that shows all of them. */
export function currentDevice(): Device | undefined {
  const wanted = new URLSearchParams(location.search).get('device')
  return DEVICES.find(({ id }) => id === wanted)
}
