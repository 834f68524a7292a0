import { useState } from 'react'
import { setAutoSyncEnabled } from 'tidesync'
import { useCloudSync } from 'tidesync/react'
import { networkMode, setNetworkMode } from '../network'
import { reportProblem } from '../problem'
import { useStore } from '../store'
import type { User } from '../users'

export function Controls({ user }: { user: User }) {
  return (
    <section className="card controls" aria-labelledby="controls-title">
      <h2 id="controls-title">Try it</h2>
      <Calls user={user} />
      <AutoSync user={user} />
      <Network />
      <p>
        <a href={`?user=${user.id}`} target="_blank" rel="noopener">
          Open a second tab
        </a>{' '}
        and see both agree.
      </p>
    </section>
  )
}

/** Asks for a sync and shows the answer, which is a boolean. */
function Calls({ user }: { user: User }) {
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
    <div>
      <div className="buttons">
        <button
          type="button"
          className="primary"
          aria-disabled={running}
          onClick={start('Sync now', forceSync)}
        >
          Sync now
        </button>
        <button type="button" aria-disabled={running} onClick={start('Back up', triggerBackup)}>
          Back up
        </button>
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

/** The network and the server as they really are to this page: its requests fail. */
function Network() {
  const mode = useStore(networkMode)
  const toggle = (wanted: 'offline' | 'broken') => () => {
    setNetworkMode(mode === wanted ? 'ok' : wanted).catch(reportProblem)
  }
  return (
    <div>
      <div className="buttons">
        <button type="button" data-active={mode === 'offline'} onClick={toggle('offline')}>
          {mode === 'offline' ? 'Go online' : 'Go offline'}
        </button>
        <button type="button" data-active={mode === 'broken'} onClick={toggle('broken')}>
          {mode === 'broken' ? 'Repair the server' : 'Break the server'}
        </button>
      </div>
      <p className="hint">{NETWORK_HINTS[mode]}</p>
    </div>
  )
}

const NETWORK_HINTS = {
  ok: 'The server can be reached.',
  offline: 'Offline: no request leaves this page.',
  broken: 'The server answers every request with 503.',
} as const
