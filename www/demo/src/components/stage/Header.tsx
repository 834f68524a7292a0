import { addressOf, USERS, type User } from '../../users'

export function Header({ user }: { user: User }) {
  return (
    <header className="top">
      <div className="brand">
        <img src="/icon.svg" alt="" width="36" height="36" />
        <div>
          <h1>Tidesync demo</h1>
          <p>One notes app on two devices, each with its own IndexedDB.</p>
        </div>
      </div>
      <nav className="users" aria-label="Signed in as">
        {USERS.map((each) => (
          <a
            key={each.id}
            href={addressOf(each)}
            aria-current={each.id === user.id ? 'page' : undefined}
          >
            <span className="avatar" aria-hidden="true">
              {each.name[0]}
            </span>
            {each.name}
          </a>
        ))}
      </nav>
    </header>
  )
}
