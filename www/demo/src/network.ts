/** The switches between the devices and the sync server, which the demo's own web server has. */

import type { NetworkState, Switching } from '../server/network-switch.mjs'
import type { Device } from './devices'
import { Store } from './store'

/** How the switches of `/demo/network` stand, in every tab and device. */
export const network = new Store<NetworkState>({ isBroken: false, offline: [] })

const pages = new BroadcastChannel('demo-network')

/** Reads the switches, and from now on hears of changes that other pages make. */
export async function startNetwork(device: Device | undefined): Promise<void> {
  if (device !== undefined) {
    playOffline(device)
  }
  pages.onmessage = (event: MessageEvent<NetworkState>) => network.set(event.data)
  network.set(await answerOf(await fetch('/demo/network')))
}

export async function switchNetwork(switching: Switching): Promise<void> {
  const response = await fetch('/demo/network', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(switching),
  })
  const state = await answerOf(response)
  network.set(state)
  pages.postMessage(state)
}

async function answerOf(response: Response): Promise<NetworkState> {
  if (!response.ok) {
    throw new Error(`the network switch answered ${response.status}`)
  }
  return (await response.json()) as NetworkState
}

/** What a browser says without a network. The demo cannot unplug it, so it says so itself. */
function playOffline({ id }: Device): void {
  const isOnline = () => !network.get().offline.includes(id)
  Object.defineProperty(navigator, 'onLine', { get: isOnline })
  let wasOnline = true
  network.subscribe(() => {
    if (isOnline() !== wasOnline) {
      wasOnline = isOnline()
      globalThis.dispatchEvent(new Event(wasOnline ? 'online' : 'offline'))
    }
  })
}
