import { type ReactNode, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { configureCloudSync, storageEventManager } from 'tidesync'
import { logStorageEvent, logToPage } from './activity'
import { noteArrival } from './arrivals'
import { DevicePage } from './components/device/DevicePage'
import { Stage } from './components/stage/Stage'
import { openDatabase } from './database'
import { currentDevice, type Device } from './devices'
import { tellHeight } from './frame'
import { startNetwork } from './network'
import { problem, reportProblem } from './problem'
import { tokensOf } from './token'
import { currentUser, type User } from './users'
import { welcome } from './welcome'

async function start(root: HTMLElement): Promise<void> {
  const device = currentDevice()
  const user = currentUser()
  await startNetwork(device)
  const page = device === undefined ? <Stage user={user} /> : await startDevice(root, device, user)
  createRoot(root).render(<StrictMode>{page}</StrictMode>)
}

async function startDevice(root: HTMLElement, device: Device, user: User): Promise<ReactNode> {
  document.title = `${device.name} – Tidesync demo`
  storageEventManager.onAny(logStorageEvent)
  storageEventManager.onAny(noteArrival)
  // The device's own way to the server, so that it can be cut off alone.
  const url = `${location.origin}/devices/${device.id}`
  configureCloudSync({
    url,
    getToken: tokensOf(url),
    tables: { notes: { conflict: 'manual' } },
    timing: { bufferMs: 500, throttleMs: 1_000 },
    logger: logToPage,
  })
  const database = await openDatabase(device, user)
  welcome(database, device)
  tellHeight(device, root)
  return <DevicePage database={database} device={device} user={user} />
}

const root = document.querySelector<HTMLElement>('#root')
if (root !== null) {
  start(root).catch((error: unknown) => {
    reportProblem(error)
    root.textContent = `The demo could not start: ${problem.get()}`
  })
}
