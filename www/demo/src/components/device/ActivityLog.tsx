import { type Activity, activity } from '../../activity'
import { useStore } from '../../store'

const OPERATIONS = {
  create: 'added',
  update: 'put',
  delete: 'deleted',
  clear: 'cleared',
  'delete-range': 'range deleted',
} as const

const ORIGINS = {
  local: '',
  'other-tab': ', in another tab',
  remote: ', on another device',
} as const

/** Storage events and Tidesync's log lines, latest first. */
export function ActivityLog() {
  const entries = useStore(activity)
  return (
    <section className="activity" aria-labelledby="activity-title">
      <h3 id="activity-title">What happens</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <ol tabIndex={0} aria-labelledby="activity-title">
        {entries.map((entry) => (
          <li key={entry.id} data-level={entry.kind === 'log' ? entry.level : 'changes'}>
            <time dateTime={entry.at.toISOString()}>{entry.at.toTimeString().slice(0, 8)}</time>
            <span>{textOf(entry)}</span>
          </li>
        ))}
        {entries.length === 0 && <li className="empty">Change something to see it here</li>}
      </ol>
    </section>
  )
}

function textOf(entry: Activity): string {
  if (entry.kind === 'log') {
    return entry.text
  }
  const { table, operation, count, origin } = entry
  return `${table}: ${count.toLocaleString('en')} ${OPERATIONS[operation]}${ORIGINS[origin]}`
}
