import type { Device } from '../../devices'
import { isFramed } from '../../frame'
import { addressOf, type User } from '../../users'
import { ProblemBanner } from '../ProblemBanner'
import { ServerSwitch } from '../ServerSwitch'
import { Details } from './Details'
import { DeviceHead } from './DeviceHead'
import { Issues } from './Issues'
import { Notes } from './Notes'
import { StatusLine } from './StatusLine'

interface DevicePageProps {
  readonly database: IDBDatabase
  readonly device: Device
  readonly user: User
}

/** One device with its database: as a frame of the stage, or as a page of its own. */
export function DevicePage({ database, device, user }: DevicePageProps) {
  return (
    <div className={isFramed ? 'device-page framed' : 'device-page'}>
      {!isFramed && (
        <nav className="device-top" aria-label="Demo">
          <a href={addressOf(user)}>Both devices</a>
          <ServerSwitch />
        </nav>
      )}
      <ProblemBanner />
      <main className="card device">
        <DeviceHead device={device} />
        <StatusLine device={device} user={user} />
        <Notes database={database} />
        <Issues />
        <Details database={database} device={device} user={user} />
      </main>
    </div>
  )
}
