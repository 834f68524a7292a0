/** The switch between this page and the sync server, which the demo's own web server has. */

import type { NetworkMode } from '../server/network-switch.mjs'
import { Store } from './store'

/** What the switch of `/demo/network` stands at, in every tab. */
export const networkMode = new Store<NetworkMode>('ok')

const tabs = new BroadcastChannel('demo-network')

/** Reads the switch, and from now on hears of changes that other tabs make. */
export async function startNetwork(): Promise<void> {
  // What a browser says without a network. The demo cannot unplug it, so it says so itself.
  Object.defineProperty(navigator, 'onLine', { get: () => networkMode.get() !== 'offline' })
  tabs.onmessage = (event: MessageEvent<NetworkMode>) => changed(event.data)
  const response = await fetch('/demo/network')
  changed(((await response.json()) as { mode: NetworkMode }).mode)
}

export async function setNetworkMode(mode: NetworkMode): Promise<void> {
  const response = await fetch('/demo/network', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ mode }),
  })
  if (!response.ok) {
    throw new Error(`the network switch answered ${response.status}`)
  }
  changed(mode)
  tabs.postMessage(mode)
}

function changed(mode: NetworkMode): void {
  const wasOnline = navigator.onLine
  networkMode.set(mode)
  if (navigator.onLine !== wasOnline) {
    globalThis.dispatchEvent(new Event(navigator.onLine ? 'online' : 'offline'))
  }
}
