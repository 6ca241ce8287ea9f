# One list for login shells and for processes the agent starts.
while IFS= read -r assignment; do
  case "$assignment" in
    '' | '#'*) ;;
    *=*) export "$assignment" ;;
  esac
done </etc/environment
unset assignment
