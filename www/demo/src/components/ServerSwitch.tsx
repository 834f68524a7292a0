import { network, switchNetwork } from '../network'
import { reportProblem } from '../problem'
import { useStore } from '../store'

/** The server that all devices share, and the button that breaks it: it really refuses. */
export function ServerSwitch() {
  const { isBroken } = useStore(network)
  const toggle = () => {
    switchNetwork({ isBroken: !isBroken }).catch(reportProblem)
  }
  return (
    <div className="server" data-tone={isBroken ? 'bad' : 'good'}>
      <p role="status">
        <span className="dot" aria-hidden="true" />
        {isBroken ? 'The server answers every request with 503' : 'The server is up'}
      </p>
      <button type="button" data-active={isBroken} onClick={toggle}>
        {isBroken ? 'Repair the server' : 'Break the server'}
      </button>
    </div>
  )
}
