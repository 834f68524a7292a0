import type { Device } from '../../devices'
import { network, switchNetwork } from '../../network'
import { reportProblem } from '../../problem'
import { useStore } from '../../store'

/** The device's name, and the switch of its network. */
export function DeviceHead({ device }: { device: Device }) {
  const { offline } = useStore(network)
  const isOffline = offline.includes(device.id)
  const toggle = () => {
    switchNetwork({ device: device.id, isOffline: !isOffline }).catch(reportProblem)
  }
  return (
    <header className="device-head">
      <DeviceIcon device={device} />
      <h1>{device.name}</h1>
      <button type="button" className="small" data-active={isOffline} onClick={toggle}>
        {isOffline ? 'Go online' : 'Go offline'}
      </button>
    </header>
  )
}

const SHAPES = {
  laptop: 'M5 5h14v10H5zM2 19h20',
  phone: 'M7 2h10v20H7zM11 18.5h2',
} as const

function DeviceIcon({ device }: { device: Device }) {
  return (
    <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <path d={SHAPES[device.id]} />
    </svg>
  )
}
