import { useCloudSync } from 'tidesync/react'
import { useNow } from '../../clock'
import { saveNotes } from '../../database'
import type { Device } from '../../devices'
import { isFramed } from '../../frame'
import { reportProblem } from '../../problem'
import { newNotes } from '../../records'
import { addressOf, type User } from '../../users'
import { since, until } from '../../words'
import { ActivityLog } from './ActivityLog'
import { Calls } from './Calls'

const BULK = 1_000

interface DetailsProps {
  readonly database: IDBDatabase
  readonly device: Device
  readonly user: User
}

/** What an app rarely shows: the status in full, what can be asked of Tidesync, what happens. */
export function Details({ database, device, user }: DetailsProps) {
  const addMany = () => {
    saveNotes(database, newNotes(BULK)).catch(reportProblem)
  }
  return (
    <details className="details">
      <summary>Under the hood</summary>
      <Facts user={user} />
      <Calls user={user} />
      <div className="buttons">
        <button type="button" onClick={addMany}>
          Add {BULK.toLocaleString('en')} notes
        </button>
        <a className="button" href={addressOf(user, device)} target="_blank" rel="noopener">
          {isFramed ? `Open the ${device.id} in a tab` : 'Open a second tab'}
        </a>
      </div>
      <ActivityLog />
    </details>
  )
}

function Facts({ user }: { user: User }) {
  const { status } = useCloudSync(user.id)
  const now = useNow(status.nextAttemptAt !== null || status.lastSyncTime > 0)
  const facts: readonly (readonly [name: string, value: string, hint: string])[] = [
    ['Waiting', status.pending.toLocaleString('en'), 'unconfirmed'],
    ['Held', status.held.toLocaleString('en'), 'refused, kept'],
    ['Failures', String(status.consecutiveFailures), 'in a row'],
    ['Next try', until(status.nextAttemptAt, now), 'by itself'],
    ['Last sync', since(status.lastSyncTime, now), 'confirmed'],
    [
      'This tab',
      status.isLeader ? 'Leader' : 'Follower',
      status.isLeader ? 'syncs for all' : 'another syncs',
    ],
  ]
  return (
    <>
      <dl className="facts">
        {facts.map(([name, value, hint]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value}
              <small>{hint}</small>
            </dd>
          </div>
        ))}
      </dl>
      <p className="last-error">
        <strong>Last error</strong> <span>{status.lastError?.message ?? 'none'}</span>
      </p>
    </>
  )
}
