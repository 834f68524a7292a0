import { useState } from 'react'
import { setAutoSyncEnabled } from 'tidesync'
import { useCloudSync } from 'tidesync/react'
import { reportProblem } from '../../problem'
import type { User } from '../../users'

/** Asks for a sync and shows the answer, which is a boolean. */
export function Calls({ user }: { user: User }) {
  const { forceSync, triggerBackup } = useCloudSync(user.id, { select: () => null })
  const [running, setRunning] = useState(false)
  const [answer, setAnswer] = useState('')
  const call = async (name: string, ask: () => Promise<boolean>) => {
    if (running) {
      return
    }
    setRunning(true)
    setAnswer(`${name}…`)
    try {
      const confirmed = await ask()
      setAnswer(`${name}: ${confirmed} (${confirmed ? 'all confirmed' : 'not all confirmed'})`)
    } finally {
      setRunning(false)
    }
  }
  const start = (name: string, ask: () => Promise<boolean>) => () => {
    call(name, ask).catch(reportProblem)
  }
  return (
    <div className="calls">
      <div className="buttons">
        <button type="button" aria-disabled={running} onClick={start('Sync now', forceSync)}>
          Sync now
        </button>
        <button type="button" aria-disabled={running} onClick={start('Back up', triggerBackup)}>
          Back up
        </button>
        <AutoSync user={user} />
      </div>
      <output>{answer || '“Back up” compares everything first.'}</output>
    </div>
  )
}

function AutoSync({ user }: { user: User }) {
  const { status: isEnabled } = useCloudSync(user.id, { select: (status) => status.isEnabled })
  return (
    <button
      type="button"
      role="switch"
      className="switch"
      aria-checked={isEnabled}
      onClick={() => setAutoSyncEnabled(!isEnabled).catch(reportProblem)}
    >
      <span className="track" aria-hidden="true" />
      Auto-sync
      <span className="state" aria-hidden="true">
        {isEnabled ? 'on' : 'off'}
      </span>
    </button>
  )
}
