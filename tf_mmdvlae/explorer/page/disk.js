// Says what is wrong where a page in a folder is opened from disk: browsers load no modules there.

if (location.protocol === "file:")
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("status").textContent = "This page needs a web server, such as " +
      "“python3 -m http.server” in its folder. A page that bin/explore writes to one file, " +
      "--out=page.html, opens from disk.";
  });
