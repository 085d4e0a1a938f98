import { words } from "../words";
import { Dialog } from "./Dialog";

export function HelpDialog({ onClose }: { onClose: () => void }) {
  const say = words.value;
  const keys: [string[], string][] = [
    [["j", "k", "↓", "↑"], say.keyNext],
    [["Home", "End"], say.keyEnds],
    [["Enter"], say.keyOpen],
    [["/"], say.keySearch],
    [["Esc"], say.keyEscape],
    [["t"], say.keyTakeOver],
    [["r"], say.keyReply],
    [["Enter"], say.keySend],
    [["g"], say.keyGiveBack],
    [["a"], say.keyRites],
    [["?"], say.keyHelp],
  ];
  return (
    <Dialog title={say.help} onClose={onClose}>
      <h3>{say.helpWhat}</h3>
      <p>{say.helpWhatText}</p>
      <h3>{say.keyboard}</h3>
      <p class="quiet">{say.keyboardHint}</p>
      <table class="keys">
        <tbody>
          {keys.map(([names, what]) => (
            <tr key={what}>
              <th scope="row">
                {names.map((name) => (
                  <kbd key={name}>{name}</kbd>
                ))}
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
