# fish completion for torgo; made by `make generated` from the command tree; do not edit
function __fish_torgo_path
    set -l words (commandline -opc)
    set -l path torgo
    for word in $words[2..]
        switch $path/$word
            case torgo/generate
                set path $path/$word
        end
    end
    echo $path
end
complete -c torgo -f
complete -c torgo -n 'test (__fish_torgo_path) = torgo' -a generate -d 'Plan a mesh that survives losses, prove it, and draw it.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo' -l version -d 'Print the version.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo' -s h -l help -d 'Show this message and exit.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l env -r -d 'Environment: a name or a TOML file of your own.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l redundancy -r -d 'Survive any R-1 losses; each node hears R relays.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l range -r -d 'Radius of the site, e.g. 1000m.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l nodes -r -d 'Number of nodes, gateways included.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l gateways -r -d 'Number of nodes with a way out.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l hops-max -r -d 'The longest way that is accepted.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l obstacles -r -a 'static dynamic' -d 'dynamic: rehearse what moves and what loses power.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l layout -r -F -d 'Node positions: CSV or GeoJSON.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l links -r -F -d 'Measured signal strengths: CSV with a,b,rssi_dbm.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l tx-power -r -d 'Transmit power, e.g. 8dBm; auto: the lowest that does.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l antenna-height -r -d 'Height of the masts that relay, e.g. 2m.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l gain -r -d 'Antenna gain, e.g. 2.15dBi.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l margin -r -d 'Kept in hand for fading, e.g. 10dB.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l exponent -r -d 'Rooms instead of ground: the path exponent.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l iterations -r -d 'Effort of the search; 0: greedy only.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l seed -r -d 'Of all dice; the same gives the same.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l name -r -d 'Name of the plan.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -s o -l output -r -F -d 'Where the plan is written.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l svg -r -F -d 'The map; default: beside the plan.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l html -r -F -d 'The page; default: beside the plan.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l pictures -l no-pictures -d 'Draw the map and the page.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l json -d 'Print the result as JSON.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -s q -l quiet -d 'Say less.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -s v -l verbose -d 'Say more; twice: still more.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l color -r -a 'auto always never' -d 'Colour the output.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l log-format -r -a 'text json' -d 'Notes on stderr as text or json.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l no-input -d 'Never ask; fail instead.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -l schema -d 'Print the JSON Schema of --json and exit.'
complete -c torgo -n 'test (__fish_torgo_path) = torgo/generate' -s h -l help -d 'Show this message and exit.'
