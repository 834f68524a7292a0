import { type CSSProperties, useEffect, useState } from 'react'
import { DEVICES, type Device } from '../../devices'
import { type DeviceReport, listenToDevices } from '../../frame'
import { addressOf, type User } from '../../users'
import { ProblemBanner } from '../ProblemBanner'
import { ServerSwitch } from '../ServerSwitch'
import { Header } from './Header'
import { HowItWorks } from './HowItWorks'

const STARTING: DeviceReport = { height: 0, tone: 'off', words: 'Starting…' }

type Reports = Readonly<Record<Device['id'], DeviceReport>>

/** Two devices of one user, side by side; where there is no room, one at a time. */
export function Stage({ user }: { user: User }) {
  const reports = useReports()
  const [shown, show] = useState<Device['id']>(DEVICES[0].id)
  return (
    <>
      <Header user={user} />
      <ProblemBanner />
      <main>
        <Invitation />
        <nav className="device-tabs" aria-label="Device">
          {DEVICES.map(({ id, name }) => (
            <button
              key={id}
              type="button"
              aria-pressed={id === shown}
              data-tone={reports[id].tone}
              onClick={() => show(id)}
            >
              <span className="dot" aria-hidden="true" />
              {name}
              <small>{reports[id].words}</small>
            </button>
          ))}
        </nav>
        <div className="devices">
          {DEVICES.map((device) => (
            <iframe
              key={device.id}
              title={device.name}
              src={addressOf(user, device)}
              data-shown={device.id === shown}
              style={{ '--height': `${reports[device.id].height}px` } as CSSProperties}
            />
          ))}
        </div>
        <HowItWorks user={user} />
      </main>
    </>
  )
}

/** What to do here, in three steps, and the server between the devices. */
function Invitation() {
  return (
    <section className="invitation" aria-label="Try it">
      <ol>
        <li>
          <strong>Type on one device.</strong> It arrives on the other.
        </li>
        <li>
          <strong>Take one offline</strong> and change the same text on both. Back online, you
          decide.
        </li>
        <li>
          <strong>Break the server,</strong> reload, close the tab. Nothing is lost.
        </li>
      </ol>
      <ServerSwitch />
    </section>
  )
}

function useReports(): Reports {
  const [reports, setReports] = useState<Reports>({ laptop: STARTING, phone: STARTING })
  useEffect(
    () =>
      listenToDevices((device, report) => {
        setReports((known) => ({ ...known, [device]: { ...known[device], ...report } }))
      }),
    [],
  )
  return reports
}
