(() => {
  "use strict";
  const film = document.querySelector(".film");
  const controls = film && film.querySelector(".controls");
  if (!controls) return;
  const frames = [...film.querySelectorAll("figure")];
  const slider = controls.querySelector("input");
  const button = controls.querySelector("button");
  let timer = 0;
  const show = (place) => {
    frames.forEach((frame, i) => { frame.hidden = i !== place; });
    slider.value = String(place);
    slider.setAttribute("aria-valuetext", frames[place].querySelector("figcaption").textContent);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const step = () => {
    const next = Number(slider.value) + 1;
    if (next >= frames.length) stop();
    else show(next);
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) >= frames.length - 1) show(0);
    timer = setInterval(step, Math.max(120, 4000 / frames.length));
    button.textContent = "Pause";
  });
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  show(frames.length - 1);
  controls.hidden = false;
})();
