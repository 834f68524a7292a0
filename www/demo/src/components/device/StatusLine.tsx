import { useEffect } from 'react'
import { describeStatus } from 'tidesync'
import { useCloudSync } from 'tidesync/react'
import { useNow } from '../../clock'
import type { Device } from '../../devices'
import { tellStage } from '../../frame'
import type { User } from '../../users'
import { announcement, toneOf } from '../../words'
import { ISSUES_ID, STATUS_ID } from './places'

/** What Tidesync says of the device's changes, in one line. */
export function StatusLine({ device, user }: { device: Device; user: User }) {
  const { status } = useCloudSync(user.id)
  const now = useNow(status.nextAttemptAt !== null)
  const tone = toneOf(status)
  const words = describeStatus(status, now)
  const { progress } = status
  useEffect(() => tellStage(device, { tone, words }), [device, tone, words])
  return (
    <div id={STATUS_ID} className="status" data-tone={tone} tabIndex={-1}>
      <p className="headline">
        <span className="dot" aria-hidden="true" />
        {words}
        {status.conflicts > 0 && (
          <button type="button" className="small" onClick={goToIssues}>
            Decide
          </button>
        )}
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
    </div>
  )
}

function goToIssues(): void {
  const issues = document.querySelector<HTMLElement>(`#${ISSUES_ID}`)
  issues?.focus()
  issues?.scrollIntoView({ block: 'nearest' })
}
