import "./style/index.css";
import { render } from "preact";
import { runDesk } from "./desk";
import { App } from "./view/App";
import { listenToKeys } from "./view/keyboard";
import { spendLoginCode } from "./view/Login";

spendLoginCode();
runDesk();
listenToKeys();
const place = document.getElementById("desk");
if (place) render(<App />, place);
