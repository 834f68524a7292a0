import type { User } from '../users'

const CODE = `// in onupgradeneeded, after the app's own upgrade
installTidesync(request.result, request.transaction)

// once the database is open
attach(request.result)

// in a component
const { status } = useCloudSync(userId)`

export function HowItWorks({ user }: { user: User }) {
  return (
    <section className="card how" aria-labelledby="how-title">
      <h2 id="how-title">What connects this app</h2>
      <p>
        {user.name}’s notes are in an IndexedDB database of their own, written with <code>put</code>{' '}
        and <code>delete</code> and nothing else. Tidesync records each write in the same
        transaction, so a change and its record commit together or not at all.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens */}
      <section className="code" aria-label="The code" tabIndex={0}>
        <pre>
          <code>{CODE}</code>
        </pre>
      </section>
    </section>
  )
}
