import type { User } from '../../users'

const CODE = `// in onupgradeneeded, after the app's own upgrade
installTidesync(request.result, request.transaction)

// once the database is open
attach(request.result)

// in components
const { status } = useCloudSync(userId)
const { state } = useRecordSync('notes', note.id)
const { issues, resolve } = useSyncIssues()`

export function HowItWorks({ user }: { user: User }) {
  return (
    <section className="card how" aria-labelledby="how-title">
      <h2 id="how-title">What connects this app</h2>
      <p>
        On each device {user.name}’s notes are in an IndexedDB database of its own, written with{' '}
        <code>put</code> and <code>delete</code> and nothing else. Tidesync records each write in
        the same transaction, sends it, and brings what other devices changed into the same store.
        Different fields of one note are merged; where both devices changed the same one, this app
        has asked to decide by hand.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens */}
      <section className="code" aria-label="The code" tabIndex={0}>
        <pre>
          <code>{CODE}</code>
        </pre>
      </section>
      <p>
        Here a change waits half a second and a sync follows the last after one second; an app that
        sets nothing waits for two and five.
      </p>
    </section>
  )
}
