import { describeStatus } from 'tidesync'
import { useCloudSync } from 'tidesync/react'
import { useNow } from '../clock'
import type { User } from '../users'
import { announcement, since, toneOf, until } from '../words'

/** What Tidesync says of the user's changes. */
export function StatusCard({ user }: { user: User }) {
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
  const { progress, lastError } = status
  return (
    <section className="card status" aria-labelledby="status-title" data-tone={toneOf(status)}>
      <h2 id="status-title">Sync status of {user.name}</h2>
      <p className="headline">
        <span className="dot" aria-hidden="true" />
        {describeStatus(status, now)}
      </p>
      <progress
        aria-label="Progress of the sync"
        hidden={progress === null}
        max={progress?.total ?? 1}
        value={progress?.done ?? 0}
      />
      <p role="status" className="visually-hidden">
        {announcement(status)}
      </p>
      <dl>
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
        <strong>Last error</strong>
        <span>{lastError === null ? 'none' : lastError.message}</span>
      </p>
    </section>
  )
}
