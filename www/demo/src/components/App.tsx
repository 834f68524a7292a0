import { problem } from '../problem'
import { useStore } from '../store'
import type { User } from '../users'
import { ActivityLog } from './ActivityLog'
import { Controls } from './Controls'
import { Header } from './Header'
import { HowItWorks } from './HowItWorks'
import { Notes } from './Notes'
import { StatusBar } from './StatusBar'
import { StatusCard } from './StatusCard'

/** The notes app on the left, what Tidesync does with its changes on the right. */
export function App({ database, user }: { database: IDBDatabase; user: User }) {
  return (
    <>
      <a className="skip" href="#sync">
        Skip to the sync status
      </a>
      <Header user={user} />
      <ProblemBanner />
      <main className="columns">
        <Notes database={database} />
        <div id="sync" className="sync" tabIndex={-1}>
          <StatusCard user={user} />
          <Controls user={user} />
          <ActivityLog />
        </div>
        <HowItWorks user={user} />
      </main>
      <StatusBar user={user} />
    </>
  )
}

function ProblemBanner() {
  const message = useStore(problem)
  return (
    <div role="alert">
      {message !== null && (
        <p className="problem">
          {message}
          <button type="button" onClick={() => problem.set(null)}>
            Close
          </button>
        </p>
      )}
    </div>
  )
}
