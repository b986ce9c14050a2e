const filter = document.querySelector("#filter");
const stacks = [...document.querySelectorAll("details.stack")];
const told = document.querySelector("#filtered");
function show() {
  const wanted = filter.value.trim().toLowerCase();
  let count = 0;
  for (const stack of stacks) {
    stack.hidden = wanted !== "" && !stack.textContent.toLowerCase().includes(wanted);
    if (!stack.hidden) count += 1;
  }
  told.textContent = wanted === "" ? "" : `${count} of ${stacks.length} stacks`;
}
if (filter && stacks.length > 0) {
  document.querySelector("#tools").hidden = false;
  filter.addEventListener("input", show);
  for (const [id, open] of [["#open-all", true], ["#close-all", false]]) {
    document.querySelector(id).addEventListener("click", () => {
      for (const stack of stacks) stack.open = open;
    });
  }
}
