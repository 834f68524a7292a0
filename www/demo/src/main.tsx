import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { configureCloudSync, storageEventManager } from 'tidesync'
import { logStorageEvent, logToPage } from './activity'
import { App } from './components/App'
import { openDatabase } from './database'
import { startNetwork } from './network'
import { problem, reportProblem } from './problem'
import { getToken } from './token'
import { currentUser } from './users'

async function start(root: HTMLElement): Promise<void> {
  await startNetwork()
  storageEventManager.onAny(logStorageEvent)
  configureCloudSync({ url: location.origin, getToken, logger: logToPage })
  const user = currentUser()
  const database = await openDatabase(user.id)
  createRoot(root).render(
    <StrictMode>
      <App database={database} user={user} />
    </StrictMode>,
  )
}

const root = document.querySelector<HTMLElement>('#root')
if (root !== null) {
  start(root).catch((error: unknown) => {
    reportProblem(error)
    root.textContent = `The demo could not start: ${problem.get()}`
  })
}
