import { describeStatus } from 'tidesync'
import { useCloudSync } from 'tidesync/react'
import { useNow } from '../clock'
import type { User } from '../users'
import { toneOf } from '../words'

/** The status in one line, at the foot of a phone's screen, where the panel is out of sight. */
export function StatusBar({ user }: { user: User }) {
  const { status } = useCloudSync(user.id)
  const now = useNow(status.nextAttemptAt !== null)
  return (
    <a className="status-bar" href="#sync" data-tone={toneOf(status)}>
      <span className="dot" aria-hidden="true" />
      <span className="visually-hidden">Sync status: </span>
      {describeStatus(status, now)}
    </a>
  )
}
