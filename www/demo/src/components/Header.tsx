import { USERS, type User } from '../users'

export function Header({ user }: { user: User }) {
  return (
    <header className="top">
      <div className="brand">
        <img src="/icon.svg" alt="" width="36" height="36" />
        <div>
          <h1>Tidesync demo</h1>
          <p>A notes app on plain IndexedDB. Every change reaches its server by itself.</p>
        </div>
      </div>
      <nav className="users" aria-label="Signed in as">
        {USERS.map(({ id, name }) => (
          <a key={id} href={`?user=${id}`} aria-current={id === user.id ? 'page' : undefined}>
            <span className="avatar" aria-hidden="true">
              {name[0]}
            </span>
            {name}
          </a>
        ))}
      </nav>
    </header>
  )
}
